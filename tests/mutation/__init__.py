"""Are the tests able to fail? Faults are planted in a scratch database, and some test has to go red for each."""
