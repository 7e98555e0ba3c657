"""framecast inside other programs: pysteps, mlcast, earth2studio; none of them is imported before it is needed."""
