// Builds the package in place: the Rust crate as lib/polyfn.node, the TypeScript as lib/ (ESM) and lib/cjs/ (CommonJS).
// `npm install .` and `cargo xtask` run it. `--library PATH` takes a library that is already built instead of running
// cargo; `--out DIR` puts the package elsewhere than in lib/.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const lib = option("--out") ?? join(here, "lib");

function option(name) {
  const at = process.argv.indexOf(name);
  return at === -1 ? undefined : resolve(process.argv[at + 1]);
}

function run(command, args) {
  console.log(`polyfn: ${command} ${args.join(" ")}`);
  const done = spawnSync(command, args, { cwd: root, stdio: "inherit", shell: process.platform === "win32" });
  if (done.error) throw new Error(`${command} did not start (${done.error.message}); is it installed?`);
  if (done.status !== 0) throw new Error(`${command} failed with code ${done.status}`);
}

function buildLibrary() {
  const args = ["build", "--release", "--package", "polyfn-node"];
  run("cargo", args);
  const name =
    {
      win32: "polyfn_node.dll",
      darwin: "libpolyfn_node.dylib",
    }[process.platform] ?? "libpolyfn_node.so";
  return join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "release", name);
}

// A process may have the old library mapped: writing into it would crash that process, a rename does not.
function place(library) {
  const fresh = join(lib, `polyfn.node.${process.pid}`);
  copyFileSync(library, fresh);
  renameSync(fresh, join(lib, "polyfn.node"));
}

function compileTypes() {
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  if (!existsSync(tsc)) run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund"]);
  run(process.execPath, [tsc, "--project", join(here, "tsconfig.build.json"), "--outDir", lib]);
  run(process.execPath, [tsc, "--project", join(here, "tsconfig.cjs.json"), "--outDir", join(lib, "cjs")]);
}

// tsc leaves plain .cjs and .mjs files where they are; both builds load the same ones.
function copyPlainFiles() {
  for (const name of readdirSync(join(here, "js"))) {
    if (!/\.(cjs|mjs|d\.cts|d\.mts)$/.test(name)) continue;
    for (const target of [lib, join(lib, "cjs")]) copyFileSync(join(here, "js", name), join(target, name));
  }
}

const library = option("--library") ?? buildLibrary();
rmSync(join(lib, "cjs"), { recursive: true, force: true });
mkdirSync(join(lib, "cjs"), { recursive: true });
place(library);
compileTypes();
writeFileSync(join(lib, "package.json"), '{ "type": "module" }\n');
writeFileSync(join(lib, "cjs", "package.json"), '{ "type": "commonjs" }\n');
copyPlainFiles();
