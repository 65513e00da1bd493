"""Stripe: payment intents, charges, refunds, balance transactions, events and webhooks."""
