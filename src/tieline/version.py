__version__ = "0.1.0"
AGENT = f"tieline/{__version__}"
"What each side says it is."
