// Loads the native library: it stands beside the ESM build, one folder up from the CommonJS one.
const path = require("node:path");

const folder = path.basename(__dirname) === "cjs" ? path.dirname(__dirname) : __dirname;
module.exports = require(path.join(folder, "polyfn.node"));
