import { unreachable } from "../../base/assert.ts";
import { toCamelCase } from "../../base/case.ts";
import type { Field, Model, ModelAction, ModelQuery, ModelResource, Shape } from "./model.ts";
import { toPascalCase, toTypeName, toWords } from "./model.ts";

const reserved =
  toWords(`Any Protocol Self Type as associatedtype await break case catch class continue default defer
  deinit do else enum extension fallthrough false fileprivate for func guard if import in init inout internal is let
  nil operator precedencegroup private protocol public repeat rethrows return static struct subscript super switch
  throw throws true try typealias var where while`);

/** What the language, its library or the generated file calls so. */
const taken =
  toWords(`Any Bool Codable CodingKey CodingKeys Data Decodable Decoder Double Encoder Error EventEnvelope
  Hashable Identifiable Included Int JSONDecoder JSONValue Protocol ResourceEvent ResourceTypeRegistry Self Sendable
  String SynclineResource Type UnknownResourceType`);
const toTitle = (name: string): string => toTypeName(name, taken);

function toName(wire: string): string {
  const name = toCamelCase(wire.replace(/\W+/g, "_")).replace(/^\d/, "_$&");
  // The one word that no quotes make a name.
  if (name === "self") return "self_";
  return reserved.has(name) ? `\`${name}\`` : name;
}

/** The type of a field of that name; a record is a struct of the field's own name, beside it. */
function toType(shape: Shape, name: string): string {
  switch (shape.kind) {
    case "text":
    case "choice":
      return "String";
    case "integer":
      return "Int";
    case "real":
      return "Double";
    case "boolean":
      return "Bool";
    case "json":
      return "JSONValue";
    case "list":
      return `[${toType(shape.item, name)}]`;
    case "record":
      return toTitle(name);
    default:
      return unreachable(shape);
  }
}

const fieldType = ({ shape, name, isNullable, isOptional }: Field): string =>
  `${toType(shape, name)}${isNullable || isOptional ? "?" : ""}`;

function writeKeys(names: readonly string[], indent: string): string {
  if (names.length === 0) return "";
  const keys = names.map((name) => `${indent}    case ${toName(name)} = ${JSON.stringify(name)}`);
  return `\n${indent}enum CodingKeys: String, CodingKey {\n${keys.join("\n")}\n${indent}}\n`;
}

/** Swift leaves out what is nil; the service asks for null where a field may not be missing. */
function writeEncode(fields: readonly Field[], indent: string): string {
  if (!fields.some(({ isNullable, isOptional }) => isNullable && !isOptional)) return "";
  const lines = fields.map(({ name, isOptional }) => {
    const encode = isOptional ? "encodeIfPresent" : "encode";
    return `${indent}    try container.${encode}(${toName(name)}, forKey: .${toName(name)})\n`;
  });
  return `
${indent}public func encode(to encoder: Encoder) throws {
${indent}    var container = encoder.container(keyedBy: CodingKeys.self)
${lines.join("")}${indent}}
`;
}

const writeVars = (fields: readonly Field[], indent: string): string =>
  fields
    .map((field) => `${indent}public var ${toName(field.name)}: ${fieldType(field)}\n`)
    .join("");

/** The record within a list of lists of it. */
const innermost = (shape: Shape): Shape => (shape.kind === "list" ? innermost(shape.item) : shape);

/** The structs that these fields need, as far down as records go. */
function writeNested(fields: readonly Field[], indent: string): string {
  return fields
    .map(({ name, shape }) => {
      const inner = innermost(shape);
      return inner.kind === "record" ? `\n${writeStruct(toTitle(name), inner.fields, indent)}` : "";
    })
    .join("");
}

function writeStruct(title: string, fields: readonly Field[], indent = ""): string {
  const deeper = `${indent}    `;
  const keys = writeKeys(
    fields.map((field) => field.name),
    deeper,
  );
  return `${indent}public struct ${title}: Codable, Hashable, Sendable {
${writeVars(fields, deeper)}${writeNested(fields, deeper)}${keys}${writeEncode(fields, deeper)}${indent}}
`;
}

function writeResource({ type, fields }: ModelResource): string {
  const known = fields ?? [];
  const note =
    fields === null ? "/// Its other fields are made by a function of its plugin.\n" : "";
  return `${note}public struct ${toTitle(type)}: SynclineResource, Hashable {
    public static let resourceType = ${JSON.stringify(type)}
    public let id: String
    public let version: Int
${writeVars(known, "    ")}${writeNested(known, "    ")}${writeKeys(["id", "version", ...known.map((field) => field.name)], "    ")}}
`;
}

function writeInput(
  { name, input }: { readonly name: string; readonly input: readonly Field[] },
  suffix: string,
): string {
  const parameters = input.map(
    (field) => `${toName(field.name)}: ${fieldType(field)}${field.isOptional ? " = nil" : ""}`,
  );
  const assignments = input.map(
    (field) => `        self.${toName(field.name)} = ${toName(field.name)}\n`,
  );
  const keys = writeKeys(
    input.map((one) => one.name),
    "    ",
  );
  return `public struct ${toPascalCase(name)}${suffix}: Codable, Hashable, Sendable {
    public static let name = ${JSON.stringify(name)}
${writeVars(input, "    ")}${writeNested(input, "    ")}
    public init(${parameters.join(", ")}) {
${assignments.join("")}    }
${keys}${writeEncode(input, "    ")}}
`;
}

/** What an action answers beside its records: `output` of its answer. */
function writeOutput({ name, output }: ModelAction): string {
  const title = `${toPascalCase(name)}Output`;
  if (output === null) return `public typealias ${title} = JSONValue\n`;
  if (output.kind === "record") return writeStruct(title, output.fields);
  const item = `${title}Item`;
  const inner = innermost(output);
  const struct = inner.kind === "record" ? `\n${writeStruct(item, inner.fields)}` : "";
  return `public typealias ${title} = ${toType(output, item)}\n${struct}`;
}

/** A query's answer: its ids in order, its records, and those that travel along. */
function writeAnswer({ name, returns, related }: ModelQuery): string {
  if (returns === null) return "";
  const types = [...new Set([returns, ...related])];
  const lines = types.map((type) => `        public let ${toName(type)}: [${toTitle(type)}]?\n`);
  return `public struct ${toPascalCase(name)}Answer: Decodable, Sendable {
    public let data: [String]
    public let included: Included

    public struct Included: Decodable, Sendable {
${lines.join("")}${writeKeys(types, "        ")}    }
}
`;
}

/** What is the same for every registry: no case for any type, so a new one changes nothing here. */
const runtime = `public protocol SynclineResource: Codable, Identifiable, Sendable {
    static var resourceType: String { get }
    var id: String { get }
    var version: Int { get }
}

/// A value of a JSON column.
public indirect enum JSONValue: Codable, Hashable, Sendable {
    case null, bool(Bool), number(Double), string(String), array([JSONValue]), object([String: JSONValue])

    public init(from decoder: Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() { self = .null }
        else if let bool = try? value.decode(Bool.self) { self = .bool(bool) }
        else if let number = try? value.decode(Double.self) { self = .number(number) }
        else if let string = try? value.decode(String.self) { self = .string(string) }
        else if let array = try? value.decode([JSONValue].self) { self = .array(array) }
        else { self = .object(try value.decode([String: JSONValue].self)) }
    }

    public func encode(to encoder: Encoder) throws {
        var value = encoder.singleValueContainer()
        switch self {
        case .null: try value.encodeNil()
        case .bool(let bool): try value.encode(bool)
        case .number(let number): try value.encode(number)
        case .string(let string): try value.encode(string)
        case .array(let array): try value.encode(array)
        case .object(let object): try value.encode(object)
        }
    }
}

public struct UnknownResourceType: Error { public let type: String }

extension ResourceTypeRegistry {
    public static func decode(_ type: String, from data: Data) throws -> any SynclineResource {
        guard let resource = types[type] else { throw UnknownResourceType(type: type) }
        return try JSONDecoder().decode(resource, from: data)
    }
}

public struct EventEnvelope: Codable, Hashable, Sendable {
    public let id: String
    public let timestamp: String
    public let libraryId: String
    public let sequence: Int?
    public let span: Int?
    public let epoch: Int
    public let transactionId: String?
    public let mutationId: String?

    enum CodingKeys: String, CodingKey {
        case id, timestamp, sequence, span, epoch
        case libraryId = "library_id", transactionId = "transaction_id", mutationId = "mutation_id"
    }
}

/// An event of the stream. A record that does not fit is counted and leaves the others (\`failedCount\`).
public struct ResourceEvent: Decodable {
    public let envelope: EventEnvelope
    public let kind: String
    public let resourceType: String?
    public let changed: [any SynclineResource]
    public let deletedIds: [String]
    /// They changed, but their content could not travel: they are to be read again.
    public let touchedIds: [String]
    public let failedCount: Int

    private enum EventKeys: String, CodingKey { case envelope, kind }
    private enum KindKeys: String, CodingKey { case type, data }
    private enum DataKeys: String, CodingKey {
        case resource, resources
        case resourceType = "resource_type", resourceId = "resource_id", deletedIds = "deleted_ids"
        case resourceIds = "resource_ids"
    }

    public init(from decoder: Decoder) throws {
        let event = try decoder.container(keyedBy: EventKeys.self)
        let kindContainer = try event.nestedContainer(keyedBy: KindKeys.self, forKey: .kind)
        let data = try kindContainer.nestedContainer(keyedBy: DataKeys.self, forKey: .data)
        envelope = try event.decode(EventEnvelope.self, forKey: .envelope)
        kind = try kindContainer.decode(String.self, forKey: .type)
        resourceType = try data.decodeIfPresent(String.self, forKey: .resourceType)
        var found: [any SynclineResource] = []
        var failed = 0
        let type = resourceType.flatMap { ResourceTypeRegistry.types[$0] }
        func add(_ item: Decoder) {
            guard let type, let resource = try? type.init(from: item) else { failed += 1; return }
            found.append(resource)
        }
        if data.contains(.resource), try !data.decodeNil(forKey: .resource) {
            add(try data.superDecoder(forKey: .resource))
        }
        if data.contains(.resources) {
            var items = try data.nestedUnkeyedContainer(forKey: .resources)
            while !items.isAtEnd { add(try items.superDecoder()) }
        }
        changed = found
        failedCount = failed
        let only = try data.decodeIfPresent(String.self, forKey: .resourceId).map { [$0] } ?? []
        let isGone = kind == "ResourceDeleted"
        deletedIds = (try data.decodeIfPresent([String].self, forKey: .deletedIds) ?? []) + (isGone ? only : [])
        touchedIds = (try data.decodeIfPresent([String].self, forKey: .resourceIds) ?? []) + (isGone ? [] : only)
    }
}
`;

/** One Swift file (5.7 or newer, Foundation only): structs, inputs, the type registry and the event. */
export function writeSwift(model: Model): string {
  const rows = model.resources.map(
    ({ type }) => `        ${toTitle(type)}.resourceType: ${toTitle(type)}.self,`,
  );
  return `// DO NOT EDIT MANUALLY. Made by \`syncline generate\` from the registry.
import Foundation

/// Every type that travels.
public enum ResourceTypeRegistry {
    /// The registry this was made from; \`hello\` on the stream tells the service's own.
    public static let registryHash = ${JSON.stringify(model.registryHash)}
    public static let types: [String: any SynclineResource.Type] = [
${rows.join("\n")}
    ]
}

${model.resources.map(writeResource).join("\n")}
${model.queries.map((call) => `${writeInput(call, "Query")}\n${writeAnswer(call)}`).join("\n")}
${model.actions.map((call) => `${writeInput(call, "Action")}\n${writeOutput(call)}`).join("\n")}
${runtime}`;
}
