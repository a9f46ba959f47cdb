"""What every room uses: table schemas, tables and files written whole, parameters, command lines, errors, work on all cores."""
