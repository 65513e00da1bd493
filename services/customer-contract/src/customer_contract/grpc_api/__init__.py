"""The servicers: read the fields, run the command once, write the reply."""
