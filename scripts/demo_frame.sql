-- One frame of the demo.

\pset footer off
\pset null ''
SET timezone = 'UTC';

\echo '  order_stream_sink: the newest windows of 30 seconds        order_batch_sink: per user'
WITH w AS (
    SELECT row_number() OVER (ORDER BY "begin" DESC) AS n, *
    FROM (SELECT * FROM order_stream_sink ORDER BY "begin" DESC LIMIT 5) AS newest
), u AS (
    SELECT row_number() OVER (ORDER BY user_id) AS n, *
    FROM (SELECT * FROM order_batch_sink ORDER BY user_id LIMIT 5) AS users
)
SELECT to_char(w."begin", 'HH24:MI:SS') AS "begin", to_char(w."end", 'HH24:MI:SS') AS "end",
       w.count, to_char(w.total_price, '99999990.00') AS total_price,
       u.user_id AS "       user_id", u.count, to_char(u.total_price, '99999990.00') AS total_price
FROM w FULL JOIN u USING (n)
ORDER BY n;

\echo '  order_total_sink'
SELECT count, to_char(total_price, '99999990.00') AS total_price FROM order_total_sink;

\echo '  freshet.status'
SELECT sink, state, rows, changes, round(changes_per_second::numeric, 1) AS "changes/s", delay
FROM freshet.status ORDER BY sink::text;
