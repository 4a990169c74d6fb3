// The rules every source file is held to. Three things here are more than taste:
//   - typed rules (a floating promise in consensus code is a lost error),
//   - the environment rule: clocks, timers, randomness, disks and sockets are injected, so that the simulator can own them,
//   - one home per heavy dependency (winston in common, the Kubernetes client in operator/src/kube).
// Which package may import which is dependency-cruiser's part (.dependency-cruiser.cjs).
import { defineConfig, globalIgnores } from "eslint/config";
import { builtinRules } from "eslint/use-at-your-own-risk";
import tseslint from "typescript-eslint";

const INJECTED =
  "is injected (see common/src/env.ts): use the environment you were given, real ones live in */src/env-node/";

/** Packages, or parts of them, in which nothing but `env-node` may touch the machine. */
const PURE = [
  ...["common", "raft", "store", "pd", "client", "embedded", "history", "sim"].map((name) => `${name}/src/**/*.ts`),
  "operator/src/plan/**/*.ts",
];
const EDGES = ["*/src/env-node/**"];
/** Mains and test runners may read files and print; clocks, timers and randomness are injected there too. */
const MAINS = ["*/src/bin/**", "raft/src/conformance/**"];
/** Tests, and test suites that several tests run (`engine-suite.ts`). */
const TESTS = ["**/*.test.ts", "**/*-suite.ts"];

const TIMERS = ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"];
const RANDOM = [
  "randomBytes",
  "randomInt",
  "randomUUID",
  "randomFill",
  "randomFillSync",
  "getRandomValues",
  "webcrypto",
];
const withAndWithoutPrefix = (names) => names.flatMap((name) => [name, `node:${name}`]);
const DISK = withAndWithoutPrefix(["fs", "fs/promises"]);
const SOCKETS = withAndWithoutPrefix(["net", "tls", "dgram", "http", "https", "http2"]);
const CLOCKS = withAndWithoutPrefix(["timers", "timers/promises", "perf_hooks"]);
const PURE_REFUSES = [...DISK, ...SOCKETS, ...CLOCKS, "@grpc/grpc-js"];

const environmentGlobals = [
  ...TIMERS.map((name) => ({ name, message: `${name} ${INJECTED}` })),
  { name: "performance", message: `The clock ${INJECTED}` },
  { name: "crypto", message: `Randomness ${INJECTED}` },
  { name: "fetch", message: `The network ${INJECTED}` },
];
const environmentProperties = [
  { object: "Date", property: "now", message: `The clock ${INJECTED}` },
  { object: "Math", property: "random", message: `Randomness ${INJECTED}` },
  { object: "process", property: "hrtime", message: `The clock ${INJECTED}` },
  { object: "process", property: "nextTick", message: `The turn scheduler ${INJECTED}` },
  ...[...TIMERS, "performance", "crypto", "fetch"].map((property) => ({
    object: "globalThis",
    property,
    message: `${property} ${INJECTED}`,
  })),
];
const environmentSyntax = [
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: `The clock ${INJECTED}` },
  { selector: "CallExpression[callee.name='Date']", message: `The clock ${INJECTED}` },
];

/** Syntax TypeScript cannot simply erase, and default exports (a name is given once, by its file). */
const erasableSyntax = [
  { selector: "TSEnumDeclaration", message: "Use a union of string literals: only erasable TypeScript is allowed." },
  { selector: "TSModuleDeclaration[kind='namespace']", message: "Use a module: only erasable TypeScript is allowed." },
  { selector: "TSParameterProperty", message: "Declare and assign the field: only erasable TypeScript is allowed." },
  { selector: "ExportDefaultDeclaration", message: "Use a named export." },
];

const packageHomes = [
  { name: "winston", message: "Log through the Logger of @rhea/common." },
  { name: "@kubernetes/client-node", message: "Only operator/src/kube talks to Kubernetes." },
];

/**
 * One `no-restricted-imports` setting. A later block of the same rule replaces an earlier one, so each is complete.
 *
 * @param {{ injected?: string[], random?: boolean, home?: string }} what `injected`: modules refused as part of the environment;
 *   `random`: refuse the random functions of node:crypto; `home`: the heavy dependency that may be imported here.
 */
const imports = ({ injected = [], random = false, home }) => ({
  "@typescript-eslint/no-restricted-imports": [
    "error",
    {
      paths: [
        ...packageHomes.filter(({ name }) => name !== home),
        ...injected.map((name) => ({ name, message: `${name} ${INJECTED}`, allowTypeImports: true })),
        ...(random
          ? withAndWithoutPrefix(["crypto"]).map((name) => ({
              name,
              importNames: RANDOM,
              message: `Randomness ${INJECTED}`,
            }))
          : []),
      ],
    },
  ],
});

/** ESLint's own recommended rules, read from the rules themselves. */
const recommended = Object.fromEntries(
  [...builtinRules].filter(([, rule]) => rule.meta.docs.recommended).map(([name]) => [name, "error"]),
);

export default defineConfig(
  globalIgnores(["**/dist/", "**/gen/", "coverage/", ".cache/", ".rhea/"]),
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    rules: {
      ...recommended,
      eqeqeq: "error",
      "max-lines": ["error", { max: 600 }],
      "no-constant-condition": ["error", { checkLoops: "allExceptWhileTrue" }],
      "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "object-shorthand": "error",
      "prefer-const": "error",
    },
  },
  {
    files: ["**/*.{js,mjs,cjs}"],
    languageOptions: {
      globals: Object.fromEntries(
        [
          ...TIMERS,
          "clearTimeout",
          "process",
          "console",
          "Buffer",
          "URL",
          "performance",
          "AbortController",
          "AbortSignal",
        ].map((name) => [name, "readonly"]),
      ),
    },
  },
  {
    files: ["**/*.cjs"],
    languageOptions: { globals: { module: "writable", require: "readonly", __dirname: "readonly" } },
  },
  {
    files: ["**/*.test.mjs"],
    languageOptions: {
      globals: {
        describe: "readonly",
        it: "readonly",
        before: "readonly",
        beforeEach: "readonly",
        after: "readonly",
        afterEach: "readonly",
      },
    },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      ...imports({}),
      "no-restricted-syntax": ["error", ...erasableSyntax],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-import-type-side-effects": "error",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-unnecessary-condition": [
        "error",
        { allowConstantLoopConditions: "only-allowed-literals" },
      ],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      // An implementation of an async interface without an await must still reject instead of throwing: `async` says so.
      "@typescript-eslint/require-await": "off",
    },
  },
  { files: ["operator/src/kube/**/*.ts"], rules: imports({ home: "@kubernetes/client-node" }) },
  { files: ["common/src/env-node/**/*.ts"], rules: imports({ home: "winston" }) },
  {
    files: PURE,
    ignores: EDGES,
    rules: {
      ...imports({ injected: PURE_REFUSES, random: true }),
      "no-console": "error",
      "no-restricted-globals": ["error", ...environmentGlobals],
      "no-restricted-properties": ["error", ...environmentProperties],
      "no-restricted-syntax": ["error", ...erasableSyntax, ...environmentSyntax],
    },
  },
  {
    files: ["common/src/**/*.ts"],
    ignores: EDGES,
    rules: imports({ injected: PURE_REFUSES, random: true, home: "winston" }),
  },
  {
    // Tests of pure code may prepare files and open real streams, but they never wait and never look at a real clock.
    files: PURE.flatMap((glob) => ["*.test.ts", "*-suite.ts"].map((name) => glob.replace("*.ts", name))),
    ignores: EDGES,
    rules: imports({ injected: CLOCKS, random: true }),
  },
  {
    files: MAINS,
    rules: { ...imports({ injected: [...SOCKETS, ...CLOCKS, "@grpc/grpc-js"], random: true }), "no-console": "off" },
  },
  {
    files: TESTS,
    rules: {
      "@typescript-eslint/no-non-null-assertion": "off",
      "no-console": "off",
    },
  },
);
