"""Stripe: signed callbacks, and the payments they tell of."""
