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

describe("public documentation", () => {
  it("is there for every export, and for every member of an exported interface or class", function () {
    this.timeout(60_000);
    const program = ts.createProgram(ENTRIES, {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      customConditions: ["rhea-source"],
      skipLibCheck: true,
      noEmit: true,
    });
    const checker = program.getTypeChecker();
    const bare = new Set<string>();
    for (const entry of ENTRIES) {
      const module = checker.getSymbolAtLocation(program.getSourceFile(entry)!);
      const exported = module === undefined ? [] : checker.getExportsOfModule(module);
      assert.ok(exported.length > 0, `${entry} exports nothing`);
      for (const symbol of exported) {
        const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
        const declarations = target.declarations ?? [];
        const file = declarations[0]?.getSourceFile().fileName.replace(/^.*\/raft\/src\//, "");
        if (!declarations.some(hasComment)) bare.add(`${file}: ${symbol.name}`);
        for (const declaration of declarations) {
          for (const member of membersOf(declaration)) {
            const own = member.name === undefined ? undefined : checker.getSymbolAtLocation(member.name);
            const name = member.name?.getText() ?? "()";
            // A class may leave the comment to the interface that it implements.
            const isSaid = own === undefined ? hasComment(member) : own.getDocumentationComment(checker).length > 0;
            if (!isSaid) bare.add(`${file}: ${symbol.name}.${name}`);
          }
        }
      }
    }
    assert.equal(bare.size, 0, `without a doc comment:\n${[...bare].sort().join("\n")}`);
  });
});
