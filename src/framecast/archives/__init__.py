"""Archives: forecasts of years of frames in one store, by many processes; scores of forecasts that anybody made."""
