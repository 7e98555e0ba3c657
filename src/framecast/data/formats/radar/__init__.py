"""Composites of weather radars: ODIM, KNMI and FMI."""
