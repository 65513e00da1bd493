"""Vendor adapters, crosswalk, sync cursors, webhooks."""
