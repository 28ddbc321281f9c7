const handlerFunction = require("./003_function.cjs");

// ---- as in the seed ----
module.exports = {
  handle: handlerFunction
}
