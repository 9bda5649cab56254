"""`python -m tieline` is `tieline`."""

from tieline.apps.cli.start import main

if __name__ == "__main__":
    main()
