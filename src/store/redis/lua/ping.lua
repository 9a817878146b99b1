-- Proves that the store can be written to. After: one more ping is counted.
return call('HINCRBY', CTL, 'pings', 1)
