"""The benchmarks: throughput, latency and memory, beside floors measured in the same run.

`world` makes a firm to work in, `provisioning`, `importing`, `rating` and `invoicing` measure,
`floors` measures what the raw database and broker do with the same rows, `bench` puts it together.
"""
