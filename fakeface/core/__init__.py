"""What every room uses: errors, parameters, table schemas, files written whole, work spread over all cores."""
