// ---- as in the seed, but for the types and what is returned ----
function handlerFunction(context) {
  const { query, body, headers, method } = context.request;
  return { query, body, header_1: headers.header_1 ?? null, method, event: context.event ?? null };
}

module.exports = handlerFunction;
