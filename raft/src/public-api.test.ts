import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** The doors of the package, as its `exports` name them. */
const ENTRIES = ["index.ts", "core/index.ts", "env-node/index.ts", "offline/index.ts"]
  .map((file) => fileURLToPath(new URL(`./${file}`, import.meta.url)))
  .filter((file) => existsSync(file));

/** What of an exported thing needs a comment of its own, beside the thing itself. */
function membersOf(declaration: ts.Declaration): readonly (ts.TypeElement | ts.ClassElement)[] {
  if (ts.isInterfaceDeclaration(declaration)) return declaration.members;
  if (ts.isTypeAliasDeclaration(declaration) && ts.isTypeLiteralNode(declaration.type)) return declaration.type.members;
  if (!ts.isClassDeclaration(declaration)) return [];
  return declaration.members.filter(
    (member) =>
      !ts.isConstructorDeclaration(member) &&
      !(member.name !== undefined && ts.isPrivateIdentifier(member.name)) &&
      (ts.getCombinedModifierFlags(member) & (ts.ModifierFlags.Private | ts.ModifierFlags.Override)) === 0,
  );
}

function hasComment(declaration: ts.Declaration): boolean {
  return ts.getJSDocCommentsAndTags(declaration).some((doc) => {
    const text = ts.getTextOfJSDocComment(doc.comment);
    return text !== undefined && text.trim() !== "";
  });
}

/** The types that users of a declaration meet: those in its signature or in its public members, not those in its body. */
function typesIn(declaration: ts.Declaration): ts.TypeReferenceNode[] {
  const found: ts.TypeReferenceNode[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isBlock(node) || (ts.isVariableDeclaration(node) && node.type === undefined)) return;
    if (ts.isPropertyDeclaration(node) && ts.isPrivateIdentifier(node.name)) return;
    if (ts.isTypeReferenceNode(node)) found.push(node);
    ts.forEachChild(node, visit);
  };
  visit(declaration);
  return found;
}

describe("public API", () => {
  let checker: ts.TypeChecker;
  /** What each door exports: the things themselves. */
  let exported: { readonly name: string; readonly declarations: readonly ts.Declaration[] }[];

  before(function () {
    this.timeout(60_000);
    const program = ts.createProgram(ENTRIES, {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      customConditions: ["rhea-source"],
      skipLibCheck: true,
      noEmit: true,
    });
    checker = program.getTypeChecker();
    exported = ENTRIES.flatMap((entry) => {
      const module = checker.getSymbolAtLocation(program.getSourceFile(entry)!);
      const symbols = module === undefined ? [] : checker.getExportsOfModule(module);
      assert.ok(symbols.length > 0, `${entry} exports nothing`);
      return symbols.map((symbol) => ({ name: symbol.name, declarations: target(symbol).declarations ?? [] }));
    });
  });

  const target = (symbol: ts.Symbol): ts.Symbol =>
    symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const fileOf = (declaration: ts.Declaration | undefined): string =>
    declaration?.getSourceFile().fileName.replace(/^.*\/raft\/src\//, "") ?? "?";

  it("has a doc comment on every export and on every member of an exported interface or class", () => {
    const bare = new Set<string>();
    for (const { name, declarations } of exported) {
      const file = fileOf(declarations[0]);
      if (!declarations.some(hasComment)) bare.add(`${file}: ${name}`);
      for (const member of declarations.flatMap(membersOf)) {
        const own = member.name === undefined ? undefined : checker.getSymbolAtLocation(member.name);
        // A class may leave the comment to the interface that it implements.
        const isSaid = own === undefined ? hasComment(member) : own.getDocumentationComment(checker).length > 0;
        if (!isSaid) bare.add(`${file}: ${name}.${member.name?.getText() ?? "()"}`);
      }
    }
    assert.equal(bare.size, 0, `without a doc comment:\n${[...bare].sort().join("\n")}`);
  });

  it("exports the types that its exports name", () => {
    const known = new Set(exported.flatMap(({ declarations }) => declarations));
    const missing = new Set<string>();
    for (const { name, declarations } of exported) {
      for (const reference of declarations.flatMap(typesIn)) {
        const symbol = checker.getSymbolAtLocation(reference.typeName);
        const [declaration] = symbol === undefined ? [] : (target(symbol).declarations ?? []);
        if (declaration === undefined || ts.isTypeParameterDeclaration(declaration)) continue;
        const isOurs = /\/raft\/src\//.test(declaration.getSourceFile().fileName);
        if (isOurs && !known.has(declaration)) {
          missing.add(`${fileOf(declaration)}: ${reference.typeName.getText()}, named by ${name}`);
        }
      }
    }
    assert.equal(missing.size, 0, `not exported:\n${[...missing].sort().join("\n")}`);
  });
});
