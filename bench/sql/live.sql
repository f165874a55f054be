-- For the benchmarks of joins, and of changes that nobody reads, under a load:
-- from a commit to its being visible in a sink.  The time is measured from the call
-- of COMMIT, which includes its own flush, and from its return, in ms.
CREATE TABLE freshness_live (from_call double precision, from_return double precision);

-- write: a statement with the number of the sample as $1; look: a query that
-- yields that number when what was written is in the sink.
CREATE PROCEDURE measure_live(samples int, write text, look text) LANGUAGE plpgsql AS $$
DECLARE
	called timestamptz;
	returned timestamptz;
	seen timestamptz;
	found bigint;
	first bigint;
BEGIN
	EXECUTE look INTO first;
	first := coalesce(first, 0);
	FOR i IN 1 .. samples LOOP
		-- not in step with the batches
		PERFORM pg_sleep(0.005 + random() * 0.02);
		EXECUTE write USING first + i;
		called := clock_timestamp();
		COMMIT;
		returned := clock_timestamp();
		LOOP
			EXECUTE look INTO found;
			EXIT WHEN found = first + i;
			IF clock_timestamp() > returned + interval '30 seconds' THEN
				RAISE EXCEPTION 'sample % is not in the sink after 30 seconds', i;
			END IF;
		END LOOP;
		seen := clock_timestamp();
		INSERT INTO freshness_live VALUES (extract(epoch FROM seen - called) * 1000,
			extract(epoch FROM seen - returned) * 1000);
	END LOOP;
END $$;
