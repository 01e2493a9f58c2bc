-- Runs once, after the load: nothing is added to a request.
done = function(_, latency, _)
  print(string.format("latency us %d %d %d %d", latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
