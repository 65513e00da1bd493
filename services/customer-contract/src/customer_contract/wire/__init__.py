"""Between the domain and the contract: replies, published events, and requests read into values."""
