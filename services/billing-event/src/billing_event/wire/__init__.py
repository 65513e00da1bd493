"""Messages into values, values into messages; nothing here decides anything."""
