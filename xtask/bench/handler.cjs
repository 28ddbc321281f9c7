// The measured function by the signature specification: for faas-js-runtime and for polyfn.
exports.handle = (_context) => ({
  statusCode: 200,
  headers: { "content-type": "text/plain" },
  body: "hello",
});
