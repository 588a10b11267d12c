"""Roles of people. Several per user; four-eyes compares user ids, never roles."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Name what a signed-in person may do."""

    SUPPORT = "support"
    INVESTIGATOR = "investigator"
    ONBOARDING = "onboarding"
    APPROVER = "approver"
    AUDITOR = "auditor"
    ADMIN = "admin"
