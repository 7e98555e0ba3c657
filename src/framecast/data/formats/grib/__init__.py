"""GRIB: a reader of messages, a guard before ecCodes, and the products of MRMS."""
