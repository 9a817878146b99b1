-- Version 2: a leased lane tells whose claim it is, and which of that worker's, so that a claim whose
-- answer was lost can be given back.
ALTER TABLE people ADD COLUMN worker TEXT;
ALTER TABLE people ADD COLUMN claim INTEGER;
