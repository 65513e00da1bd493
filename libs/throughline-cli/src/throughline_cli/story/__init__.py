"""The demo story: one month of an invented consulting firm, told through REST alone.

`firm` and `deals` are data, `work` makes four weeks of it, `cast` is who acts, `teller` tells it
step by step, and `checks` says whether it ended as it must.
"""
