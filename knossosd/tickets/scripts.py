"""The steps that Redis takes as one: Lua scripts.

A worker that was silent for longer than its lease may have been replaced without knowing it. Each script that changes a
ticket therefore compares the execution id in the record with the caller's and does nothing when another one holds the
ticket. The first key of these is the ticket record. What they add to a stream, they tell on the channel of news.
"""

CLAIM = """
-- keys: record, lease, queue, working; arguments: ticket, execution, now, lease in milliseconds
if redis.call('HGET', KEYS[1], 'state') ~= 'WAITING' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'WORKING', 'execution', ARGV[2], 'time', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'attempt', 1)
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[4])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[4], redis.call('PTTL', KEYS[1]) + ARGV[4])
return 1
"""

TAKE_OVER = """
-- keys: record, lease; arguments: execution, lease in milliseconds
if redis.call('HGET', KEYS[1], 'state') ~= 'WORKING' then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'execution', ARGV[1])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
"""

RENEW = """
-- keys: record, lease; arguments: execution, lease in milliseconds
if redis.call('HGET', KEYS[1], 'execution') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
"""

PUBLISH = """
-- keys: record, events; arguments: execution, channel of news, then the entry's names and values
if redis.call('HGET', KEYS[1], 'execution') ~= ARGV[1] then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 3))
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

HAND_BACK = """
-- keys: record, lease, queue, working; arguments: ticket, execution, now
if redis.call('HGET', KEYS[1], 'execution') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'state', 'WAITING', 'time', ARGV[3], 'execution', '', 'question', '')
redis.call('DEL', KEYS[2])
redis.call('ZADD', KEYS[3], redis.call('HGET', KEYS[1], 'created'), ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('PEXPIRE', KEYS[3], redis.call('PTTL', KEYS[1]))
return 1
"""

FINISH = """
-- keys: record, lease, working, document, answers, events, now, result;
-- arguments: ticket, execution, now, lifetime in milliseconds, success (1 or 0), errors, warnings,
-- result (may be empty), channel of news, then the names and values of the last event
if redis.call('HGET', KEYS[1], 'execution') ~= ARGV[2] then return 0 end
local began = redis.call('HGET', KEYS[1], 'time')
redis.call('HSET', KEYS[1], 'state', 'DONE', 'time', ARGV[3], 'runtime', ARGV[3] - began, 'execution', '',
    'question', '', 'progress', '1', 'text', '', 'success', ARGV[5], 'errors', ARGV[6], 'warnings', ARGV[7])
redis.call('DEL', KEYS[2], KEYS[4], KEYS[5])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('XADD', KEYS[6], '*', unpack(ARGV, 10))
if ARGV[8] ~= '' then redis.call('SET', KEYS[8], ARGV[8]) end
for _, key in ipairs({KEYS[1], KEYS[6], KEYS[7], KEYS[8]}) do redis.call('PEXPIRE', key, ARGV[4]) end
redis.call('PUBLISH', ARGV[9], KEYS[6])
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
