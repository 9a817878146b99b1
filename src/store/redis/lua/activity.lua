-- Signs that the store is in use: leases that have not expired, and the number of listeners, who look for work once more.
return { broken, try('ZCOUNT', LEASES, '(' .. int(now), '+inf') or 0, call('PUBLISH', WAKE, '') }
