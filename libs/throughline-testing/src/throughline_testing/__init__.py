"""Fixtures: throwaway databases, broker, samples, builders."""
