"""What the store keeps for login, by the names login gave it (login sits below the store, so it defines them)."""

from tieline.login.records import Account, AccountStore, Device, Enrolment, Ticket, Verifier

__all__ = ["Account", "AccountStore", "Device", "Enrolment", "Ticket", "Verifier"]
