"""Provisioning runs, projects, time, expenses, milestones and acceptance."""
