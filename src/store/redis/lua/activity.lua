-- Signs of somebody at work: leases that have not run out, and who listens, who look for work once more.
return { broken, try('ZCOUNT', LEASES, '(' .. int(now), '+inf') or 0, call('PUBLISH', WAKE, '') }
