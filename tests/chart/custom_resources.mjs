// Checks custom resources (a JSON array on standard input) against their vendors' definitions: unknown and mistyped
// fields by the types, patterns and bounds by the schemas. Prints a line for each error. Must be in a folder with the
// node_modules of package.json.
import { writeFileSync } from "node:fs";
import ts from "typescript";

const groups = {
  "monitoring.coreos.com/v1": "prometheus-operator",
  "keda.sh/v1alpha1": "keda",
  "gateway.networking.k8s.io/v1": "gateway-api",
};

let text = "";
for await (const chunk of process.stdin) text += chunk;
const objects = JSON.parse(text);
const lines = [];
for (const [n, object] of objects.entries()) {
  const { apiVersion, kind, metadata } = object;
  const module = `@kubernetes-models/${groups[apiVersion]}/${apiVersion}/${kind}`;
  // A literal is checked for fields that its type does not have.
  lines.push(`import type { I${kind} as I${n} } from "${module}"; export const it${n}: I${n} = ${JSON.stringify(object)};`);
  const Model = (await import(module))[kind];
  try {
    new Model(object).validate();
  } catch (error) {
    console.log(`${kind} ${metadata.name}: ${error.message}`);
  }
}
writeFileSync("objects.ts", lines.join("\n"));
const program = ts.createProgram(["objects.ts"], {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: [],
});
for (const { file, start, messageText } of ts.getPreEmitDiagnostics(program)) {
  const n = file && start !== undefined ? file.getLineAndCharacterOfPosition(start).line : 0;
  console.log(`${objects[n].kind} ${objects[n].metadata.name}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`);
}
