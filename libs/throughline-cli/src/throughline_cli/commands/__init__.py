"""One module for each group of commands; `throughline_cli.main` lists them."""
