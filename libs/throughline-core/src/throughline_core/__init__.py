"""What every service agrees on and nothing does IO: money, quantity, period, change, refusal."""
