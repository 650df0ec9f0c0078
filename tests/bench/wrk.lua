-- What `wrk --latency` does not print.
done = function(summary, latency, requests)
   io.write(string.format("p999 %f us\n", latency:percentile(99.9)))
end
