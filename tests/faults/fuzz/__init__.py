"""Fuzzing of the readers, guided by what code their input reaches."""
