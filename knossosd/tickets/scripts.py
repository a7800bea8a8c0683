"""The steps that Redis takes as one: Lua scripts.

What a worker does is fenced by the execution id: a worker that was silent for longer than its lease may have been
replaced without knowing it, so each of its scripts compares the id in the record with the caller's, and does nothing
when another one holds the ticket. A ticket ends once, whoever ends it. The first key of such a script is the record.
What it adds to a stream, it tells on the channel of news.

A server whose memory is full refuses the first write of a script that needs some, and lets one that has begun go on to
its end. So that is the record's, and what is refused leaves no trace.

A script whose answer was lost is sent again by the client, so each that must not be done twice knows itself by an id
of the caller's: the token, the execution, the number of an event or of an attempt, the ending, the retry.
"""

from knossosd.settings import DAY, HOUR
from knossosd.tickets.changes import Change, told
from knossosd.tickets.connection import GLANCE
from knossosd.tickets.measures import BEYOND, BOUNDS, LEASE_EXPIRIES, SUBMISSIONS, Duration

TOTALS_LIFETIME = 400 * DAY
"""Seconds that counters are kept after the last one was raised: an installation that nobody uses leaves nothing."""

SLOT_LIFETIME = DAY + HOUR
"""Seconds that what was measured in five minutes is kept."""

REMEMBERED = 30
"""Tickets that succeeded, and tickets that did not, of which it is remembered how they ended."""

KEPT_ATTEMPTS = 30
"""Entries in the log of a delivery: more than there are attempts, unless it is asked for again and again."""

HISTORY_LIFETIME = 7 * DAY
"""Seconds that this is remembered after the last end of a ticket."""

LENGTHEN = """
local function lengthen(key, milliseconds)
    if redis.call('PTTL', key) < tonumber(milliseconds) then redis.call('PEXPIRE', key, milliseconds) end
end
"""
"""What is shared by many tickets lives as long as the longest of them wants it to."""

SHORTEN = """
local function shorten(key, milliseconds)
    local left = redis.call('PTTL', key)
    if left == -1 or left > tonumber(milliseconds) then redis.call('PEXPIRE', key, milliseconds) end
end
"""
"""A lease that has longer to run than any was given is of a time before the clock was set back. It is cut short: who
holds it and lives renews it as ever."""

MEASURE = f"""
local function measure(totals, slot, amounts, durations)
    for _, one in ipairs(durations) do
        local seconds, bound = math.max(one[2], 0), '{BEYOND}'
        for _, limit in ipairs({{{", ".join(map(repr, BOUNDS))}}}) do
            if seconds <= tonumber(limit) then bound = limit break end
        end
        local bucket, sum = 'duration ' .. one[1] .. ' ' .. bound, 'seconds ' .. one[1]
        amounts[bucket] = (amounts[bucket] or 0) + 1
        amounts[sum] = (amounts[sum] or 0) + seconds
    end
    for field, amount in pairs(amounts) do
        redis.pcall('HINCRBYFLOAT', totals, field, amount)
        redis.pcall('HINCRBYFLOAT', slot, field, amount)
    end
    redis.call('EXPIRE', totals, {TOTALS_LIFETIME})
    redis.call('EXPIRE', slot, {SLOT_LIFETIME})
end
"""
"""Add to the counters: a table of amounts by field, and a list of durations, each with its name and seconds. What
cannot be counted stops nothing: a script that ended here would leave its step half done."""

CREATE = f"""
-- keys: record, document, tickets, queue, and, or else '': idempotency, the owner's hour, the owner's open tickets;
-- then totals, slot;
-- arguments: ticket, now, lifetime in seconds, that of the indexes, document, most in the queue, most in an hour,
-- most at once, fingerprint, token, then the names and values of the record
{MEASURE}
local repeated, hour, open = KEYS[5], KEYS[6], KEYS[7]
if redis.call('HGET', KEYS[1], 'token') == ARGV[10] then return {{'created'}} end
if repeated ~= '' then
    local before = redis.call('HMGET', repeated, 'fingerprint', 'ticket', 'token', 'record')
    if before[1] and redis.call('EXISTS', before[4]) == 1 then
        if before[1] == ARGV[9] then return {{'same', before[2], before[3]}} end
        return {{'other'}}
    end
end
if redis.call('ZCARD', KEYS[4]) >= tonumber(ARGV[6]) then return {{'full'}} end
local began = ARGV[2] - 3600
if hour ~= '' then
    if redis.call('ZCOUNT', hour, '(' .. began, '+inf') >= tonumber(ARGV[7]) then
        return {{'hour', redis.call('ZRANGE', hour, -ARGV[7], -ARGV[7], 'WITHSCORES')[2]}}
    end
    if redis.call('ZCOUNT', open, '(' .. ARGV[2], '+inf') >= tonumber(ARGV[8]) then return {{'at once'}} end
end
redis.call('HSET', KEYS[1], unpack(ARGV, 11))
if hour ~= '' then
    redis.call('ZREMRANGEBYSCORE', hour, '-inf', began)
    redis.call('ZREMRANGEBYSCORE', open, '-inf', ARGV[2])
    redis.call('ZADD', hour, ARGV[2], ARGV[1])
    redis.call('EXPIRE', hour, 3600)
    redis.call('ZADD', open, ARGV[2] + ARGV[4], ARGV[1])
    redis.call('EXPIRE', open, ARGV[4])
end
if repeated ~= '' then
    redis.call('HSET', repeated, 'fingerprint', ARGV[9], 'ticket', ARGV[1], 'token', ARGV[10], 'record', KEYS[1])
    redis.call('EXPIRE', repeated, ARGV[3])
end
redis.call('SET', KEYS[2], ARGV[5])
for _, key in ipairs({{KEYS[1], KEYS[2]}}) do redis.call('EXPIRE', key, ARGV[4]) end
redis.call('ZADD', KEYS[3], ARGV[2] + ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[2], ARGV[1])
for _, index in ipairs({{KEYS[3], KEYS[4]}}) do redis.call('EXPIRE', index, ARGV[4]) end
measure(KEYS[8], KEYS[9], {{{SUBMISSIONS} = 1}}, {{}})
{told(Change.TICKETS)}
return {{'created'}}
"""

CLAIM = f"""
-- keys: record, lease, queue, working, totals, slot; arguments: ticket, execution, now, lease in milliseconds
{LENGTHEN}
{MEASURE}
if redis.call('HGET', KEYS[1], 'execution') == ARGV[2] then return 1 end
if redis.call('HGET', KEYS[1], 'state') ~= 'WAITING' then
    redis.call('ZREM', KEYS[3], ARGV[1])
    return 0
end
local waited = ARGV[3] - redis.call('HGET', KEYS[1], 'time')
redis.call('HSET', KEYS[1], 'state', 'WORKING', 'execution', ARGV[2], 'time', ARGV[3], 'told', '0')
measure(KEYS[5], KEYS[6], {{}}, {{{{'{Duration.WAITING}', waited}}}})
redis.call('HINCRBY', KEYS[1], 'attempt', 1)
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[4])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
lengthen(KEYS[4], redis.call('PTTL', KEYS[1]) + ARGV[4])
{told(Change.TICKETS)}
return 1
"""

TAKE_OVER = f"""
-- keys: record, lease, totals, slot; arguments: execution, lease in milliseconds, when this was asked for
{SHORTEN}
{MEASURE}
if redis.call('HGET', KEYS[1], 'execution') == ARGV[1] then return 1 end
if redis.call('HGET', KEYS[1], 'state') ~= 'WORKING' then return 0 end
-- Whoever lives could not renew the lease either while the server stood still.
if redis.call('TIME')[1] - ARGV[3] > {GLANCE} then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then
    shorten(KEYS[2], ARGV[2])
    return 0
end
redis.call('HSET', KEYS[1], 'execution', ARGV[1], 'told', '0')
redis.call('HINCRBY', KEYS[1], 'vanished', 1)
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
measure(KEYS[3], KEYS[4], {{{LEASE_EXPIRIES} = 1}}, {{}})
return 1
"""

RENEW = """
-- keys: record, lease; arguments: execution, lease in milliseconds
if redis.call('HGET', KEYS[1], 'execution') ~= ARGV[1] then return 0 end
if redis.call('PEXPIRE', KEYS[2], ARGV[2]) == 0 then redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2]) end
return 1
"""
"""A lease that has not run out is renewed also when there is no memory to make it anew."""

PUBLISH = """
-- keys: record, events; arguments: execution, channel of news, number of the event in this execution, then the entry's
-- names and values
local record = redis.call('HMGET', KEYS[1], 'execution', 'told')
if record[1] ~= ARGV[1] then return 0 end
if tonumber(record[2] or 0) >= tonumber(ARGV[3]) then return 1 end
redis.call('HSET', KEYS[1], 'told', ARGV[3])
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[1]))
redis.call('PUBLISH', ARGV[2], KEYS[2])
return 1
"""

SHOW = """
-- keys: record, now; arguments: execution, channel of news, progress, text, question,
-- then the entry's names and values
if redis.call('HGET', KEYS[1], 'execution') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'progress', ARGV[3], 'text', ARGV[4], 'question', ARGV[5])
redis.call('XADD', KEYS[2], 'MAXLEN', 1, '*', unpack(ARGV, 6))
redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[1]))
redis.call('PUBLISH', ARGV[2], KEYS[2])
return 1
"""

HAND_BACK = f"""
-- keys: record, lease, queue, working, events;
-- arguments: ticket, execution, now, channel of news, arguments of the log line
{LENGTHEN}
local held = redis.call('HMGET', KEYS[1], 'execution', 'handed_back')
if held[2] == ARGV[2] then return 1 end
if held[1] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'state', 'WAITING', 'time', ARGV[3], 'execution', '', 'question', '',
    'handed_back', ARGV[2])
redis.call('XADD', KEYS[5], '*', 'event', 'log_message', 'arguments', ARGV[5])
redis.call('PEXPIRE', KEYS[5], redis.call('PTTL', KEYS[1]))
redis.call('PUBLISH', ARGV[4], KEYS[5])
redis.call('DEL', KEYS[2])
redis.call('ZADD', KEYS[3], redis.call('HGET', KEYS[1], 'created'), ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
lengthen(KEYS[3], redis.call('PTTL', KEYS[1]))
{told(Change.TICKETS)}
return 1
"""

INDEX = f"""
-- keys: record, queue, working; arguments: ticket
{LENGTHEN}
local state, created, since = unpack(redis.call('HMGET', KEYS[1], 'state', 'created', 'time'))
local index, score = KEYS[2], created
if state == 'WORKING' then index, score = KEYS[3], since elseif state ~= 'WAITING' then return 0 end
if redis.call('ZADD', index, 'NX', score, ARGV[1]) == 0 then return 0 end
lengthen(index, redis.call('PTTL', KEYS[1]))
{told(Change.TICKETS)}
return 1
"""

END = f"""
-- keys: record, lease, document, answers, events, now, result, queue, working, dead, the owner's open tickets,
-- outbox, deliveries, delivery, tickets, totals, slot, outcomes, those that ended likewise;
-- arguments: ticket, execution or '*' for whoever holds it, now, lifetime in milliseconds, that of a dead ticket or 0,
-- that of a delivery, success (1 or 0), errors, warnings, result (may be empty), id of the ending and its delivery,
-- arguments of the last log line (may be empty), arguments of the event `done`, channel of news, what is measured,
-- what is noted of the errors
{LENGTHEN}
{MEASURE}
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'DONE' and redis.call('HGET', KEYS[1], 'ending') == ARGV[11] then return 1 end
if not state or state == 'DONE' then return 0 end
if ARGV[2] ~= '*' and redis.call('HGET', KEYS[1], 'execution') ~= ARGV[2] then return 0 end
local runtime = state == 'WORKING' and ARGV[3] - redis.call('HGET', KEYS[1], 'time') or 0
redis.call('HSET', KEYS[1], 'state', 'DONE', 'time', ARGV[3], 'runtime', runtime, 'execution', '', 'question', '',
    'progress', '1', 'text', '', 'success', ARGV[7], 'errors', ARGV[8], 'warnings', ARGV[9], 'ending', ARGV[11])
redis.call('DEL', KEYS[2], KEYS[4])
for index = 8, 9 do redis.call('ZREM', KEYS[index], ARGV[1]) end
if KEYS[11] ~= '' then redis.call('ZREM', KEYS[11], ARGV[1]) end
if ARGV[12] ~= '' then redis.call('XADD', KEYS[5], '*', 'event', 'log_message', 'arguments', ARGV[12]) end
redis.call('XADD', KEYS[5], '*', 'event', 'done', 'arguments', ARGV[13])
redis.call('PUBLISH', ARGV[14], KEYS[5])
if ARGV[10] ~= '' then redis.call('SET', KEYS[7], ARGV[10]) end
local lifetime = ARGV[4]
if ARGV[5] ~= '0' and redis.call('EXISTS', KEYS[3]) == 1 then
    lifetime = ARGV[5]
    redis.call('ZADD', KEYS[10], ARGV[3], ARGV[1])
    lengthen(KEYS[10], lifetime)
    redis.call('PEXPIRE', KEYS[3], lifetime)
else
    redis.call('DEL', KEYS[3])
end
for _, key in ipairs({{KEYS[1], KEYS[5], KEYS[6], KEYS[7]}}) do redis.call('PEXPIRE', key, lifetime) end
redis.call('ZADD', KEYS[15], 'XX', ARGV[3] + lifetime / 1000, ARGV[1])
lengthen(KEYS[15], lifetime)
local measured = cjson.decode(ARGV[15])
measure(KEYS[16], KEYS[17], measured.amounts, measured.durations)
redis.call('HSET', KEYS[18], ARGV[1], cjson.encode({{redis.call('HGET', KEYS[1], 'title'), ARGV[3], runtime,
    ARGV[3] + lifetime / 1000, ARGV[7], ARGV[16]}}))
redis.call('ZADD', KEYS[19], ARGV[3], ARGV[1])
for _, old in ipairs(redis.call('ZRANGE', KEYS[19], 0, -1 - {REMEMBERED})) do
    redis.call('HDEL', KEYS[18], old)
    redis.call('ZREM', KEYS[19], old)
end
for index = 18, 19 do redis.call('EXPIRE', KEYS[index], {HISTORY_LIFETIME}) end
{told(Change.TICKETS)}
local site = redis.call('HMGET', KEYS[1], 'webhook', 'token')
if not site[1] or site[1] == '' then return 1 end
redis.call('HSET', KEYS[14], 'ticket', ARGV[1], 'url', site[1], 'token', site[2], 'created', ARGV[3],
    'state', 'waiting', 'attempts', '0')
for index = 12, 13 do redis.call('ZADD', KEYS[index], ARGV[3], ARGV[11]) end
for index = 12, 14 do lengthen(KEYS[index], ARGV[6]) end
{told(Change.DELIVERIES)}
return 1
"""

NOTE_IN_LOG = f"""
local function note_in_log(delivery, entry)
    local log = cjson.decode(redis.call('HGET', delivery, 'log') or '[]')
    table.insert(log, cjson.decode(entry))
    if #log > {KEPT_ATTEMPTS} then table.remove(log, 1) end
    redis.call('HSET', delivery, 'log', cjson.encode(log))
end
"""
"""Note an entry, a JSON object, in the log of a delivery."""

RETRY = f"""
-- keys: record, document, events, now, result, tickets, queue, dead, the owner's open tickets or '', outbox,
-- outcomes, those of tickets that failed;
-- arguments: ticket, now, lifetime in seconds, when it ends at the latest, what the key of a delivery begins with, what
-- the log of the ending's delivery says when it is not made, id of this retry
{LENGTHEN}
{NOTE_IN_LOG}
if redis.call('HGET', KEYS[1], 'retry') == ARGV[7] then return 1 end
if redis.call('HGET', KEYS[1], 'state') ~= 'DONE' or redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
local ending = redis.call('HGET', KEYS[1], 'ending')
redis.call('HSET', KEYS[1], 'state', 'WAITING', 'time', ARGV[2], 'created', ARGV[2], 'attempt', '0', 'vanished', '0',
    'progress', '0', 'success', '0', 'errors', '', 'warnings', '', 'ending', '', 'retry', ARGV[7])
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5])
redis.call('ZREM', KEYS[8], ARGV[1])
if ending and ending ~= '' then
    local delivery = ARGV[5] .. ending
    redis.call('ZREM', KEYS[10], ending)
    if redis.call('HGET', delivery, 'state') == 'waiting' then
        redis.call('HSET', delivery, 'state', 'given up')
        note_in_log(delivery, ARGV[6])
        {told(Change.DELIVERIES)}
    end
end
redis.call('HDEL', KEYS[11], ARGV[1])
redis.call('ZREM', KEYS[12], ARGV[1])
if KEYS[9] ~= '' then
    redis.call('ZADD', KEYS[9], ARGV[4], ARGV[1])
    lengthen(KEYS[9], ARGV[3] * 1000)
end
redis.call('ZADD', KEYS[6], ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[7], ARGV[2], ARGV[1])
for _, key in ipairs({{KEYS[1], KEYS[2]}}) do redis.call('EXPIRE', key, ARGV[3]) end
for index = 6, 7 do lengthen(KEYS[index], ARGV[3] * 1000) end
{told(Change.TICKETS)}
return 1
"""

RECORD = f"""
-- keys: the sign that this was done, totals, slot; arguments: lifetime of the sign in seconds, what is measured
{MEASURE}
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then return 0 end
local measured = cjson.decode(ARGV[2])
measure(KEYS[2], KEYS[3], measured.amounts, measured.durations)
return 1
"""

STANDINGS = """
-- keys: queue, then the records of tickets; arguments: the tickets
local standings = {}
for place, ticket in ipairs(ARGV) do
    standings[place] = cjson.encode({redis.call('HGETALL', KEYS[place + 1]), redis.call('ZRANK', KEYS[1], ticket)})
end
return standings
"""
