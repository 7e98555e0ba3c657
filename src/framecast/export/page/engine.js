// The model in a browser: onnxruntime-web from bytes that the page holds. A module, for a worker or for the page itself.
let ort, session;

export async function load(parts) {
  const place = URL.createObjectURL(new Blob([parts.runtime], {type: "text/javascript"}));
  ort = await import(place);
  ort.env.wasm.numThreads = 1;  // more need headers that a file has not
  ort.env.wasm.wasmBinary = parts.wasm;
  ort.env.logLevel = "error";
  session = await ort.InferenceSession.create(new Uint8Array(parts.model), {executionProviders: ["wasm"]});
}

// values: (1, context, channels, height, width), NaN where missing; answers (1, horizon, targets, height, width)
export async function predict({values, shape, horizon}) {
  const began = performance.now();
  const feeds = {
    frames: new ort.Tensor("float32", values, shape),
    horizon: new ort.Tensor("int64", BigInt64Array.from([BigInt(horizon)]), []),
  };
  if (session.inputNames.includes("known"))
    feeds.known = new ort.Tensor("bool", new Uint8Array(shape[1]).fill(1), [1, shape[1]]);
  const {forecast, gates} = await session.run(feeds, session.outputNames);
  const maps = gates && {values: gates.data, shape: gates.dims};  // (1, steps, gates, rows, columns)
  return {values: forecast.data, shape: forecast.dims, maps, seconds: (performance.now() - began) / 1000};
}
