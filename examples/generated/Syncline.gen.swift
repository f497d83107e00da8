// DO NOT EDIT MANUALLY. Made by `syncline generate` from the registry.
import Foundation

/// Every type that travels.
public enum ResourceTypeRegistry {
    /// The registry this was made from; `hello` on the stream tells the service's own.
    public static let registryHash = "3ec2c716"
    public static let types: [String: any SynclineResource.Type] = [
        Album.resourceType: Album.self,
        AlbumItem.resourceType: AlbumItem.self,
        File.resourceType: File.self,
        FileTag.resourceType: FileTag.self,
        Location.resourceType: Location.self,
        Tag.resourceType: Tag.self,
        UserMetadata.resourceType: UserMetadata.self,
    ]
}

public struct Album: SynclineResource, Hashable {
    public static let resourceType = "album"
    public let id: String
    public let version: Int
    public var name: String
    public var description: String?
    public var coverId: String?

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case version = "version"
        case name = "name"
        case description = "description"
        case coverId = "cover_id"
    }
}

public struct AlbumItem: SynclineResource, Hashable {
    public static let resourceType = "album_item"
    public let id: String
    public let version: Int
    public var albumId: String
    public var fileId: String
    public var position: Int

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case version = "version"
        case albumId = "album_id"
        case fileId = "file_id"
        case position = "position"
    }
}

public struct File: SynclineResource, Hashable {
    public static let resourceType = "file"
    public let id: String
    public let version: Int
    public var locationId: String
    public var parentId: String?
    public var name: String
    public var `extension`: String?
    public var size: Int
    public var mime: String?
    public var modifiedAt: String?
    public var contentId: String?

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case version = "version"
        case locationId = "location_id"
        case parentId = "parent_id"
        case name = "name"
        case `extension` = "extension"
        case size = "size"
        case mime = "mime"
        case modifiedAt = "modified_at"
        case contentId = "content_id"
    }
}

public struct FileTag: SynclineResource, Hashable {
    public static let resourceType = "file_tag"
    public let id: String
    public let version: Int
    public var fileId: String
    public var tagId: String

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case version = "version"
        case fileId = "file_id"
        case tagId = "tag_id"
    }
}

public struct Location: SynclineResource, Hashable {
    public static let resourceType = "location"
    public let id: String
    public let version: Int
    public var deviceId: String
    public var name: String
    public var pathHint: String?

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case version = "version"
        case deviceId = "device_id"
        case name = "name"
        case pathHint = "path_hint"
    }
}

public struct Tag: SynclineResource, Hashable {
    public static let resourceType = "tag"
    public let id: String
    public let version: Int
    public var name: String
    public var color: String?

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case version = "version"
        case name = "name"
        case color = "color"
    }
}

public struct UserMetadata: SynclineResource, Hashable {
    public static let resourceType = "user_metadata"
    public let id: String
    public let version: Int
    public var fileId: String
    public var favorite: Bool
    public var hidden: Bool
    public var notes: String?
    public var custom: JSONValue?

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case version = "version"
        case fileId = "file_id"
        case favorite = "favorite"
        case hidden = "hidden"
        case notes = "notes"
        case custom = "custom"
    }
}

public struct AlbumItemsQuery: Codable, Hashable, Sendable {
    public static let name = "album.items"
    public var albumId: String
    public var limit: Int?
    public var after: Int?
    public var afterId: String?

    public init(albumId: String, limit: Int? = nil, after: Int? = nil, afterId: String? = nil) {
        self.albumId = albumId
        self.limit = limit
        self.after = after
        self.afterId = afterId
    }

    enum CodingKeys: String, CodingKey {
        case albumId = "album_id"
        case limit = "limit"
        case after = "after"
        case afterId = "after_id"
    }
}

public struct AlbumItemsAnswer: Decodable, Sendable {
    public let data: [String]
    public let included: Included

    public struct Included: Decodable, Sendable {
        public let albumItem: [AlbumItem]?
        public let file: [File]?

        enum CodingKeys: String, CodingKey {
            case albumItem = "album_item"
            case file = "file"
        }
    }
}

public struct AlbumListQuery: Codable, Hashable, Sendable {
    public static let name = "album.list"
    public var sort: String?
    public var limit: Int?
    public var after: String?
    public var afterId: String?

    public init(sort: String? = nil, limit: Int? = nil, after: String? = nil, afterId: String? = nil) {
        self.sort = sort
        self.limit = limit
        self.after = after
        self.afterId = afterId
    }

    enum CodingKeys: String, CodingKey {
        case sort = "sort"
        case limit = "limit"
        case after = "after"
        case afterId = "after_id"
    }
}

public struct AlbumListAnswer: Decodable, Sendable {
    public let data: [String]
    public let included: Included

    public struct Included: Decodable, Sendable {
        public let album: [Album]?

        enum CodingKeys: String, CodingKey {
            case album = "album"
        }
    }
}

public struct FileByDirectoryQuery: Codable, Hashable, Sendable {
    public static let name = "file.by_directory"
    public var locationId: String
    public var parentId: String?
    public var limit: Int?
    public var after: String?
    public var afterId: String?

    public init(locationId: String, parentId: String? = nil, limit: Int? = nil, after: String? = nil, afterId: String? = nil) {
        self.locationId = locationId
        self.parentId = parentId
        self.limit = limit
        self.after = after
        self.afterId = afterId
    }

    enum CodingKeys: String, CodingKey {
        case locationId = "location_id"
        case parentId = "parent_id"
        case limit = "limit"
        case after = "after"
        case afterId = "after_id"
    }
}

public struct FileByDirectoryAnswer: Decodable, Sendable {
    public let data: [String]
    public let included: Included

    public struct Included: Decodable, Sendable {
        public let file: [File]?

        enum CodingKeys: String, CodingKey {
            case file = "file"
        }
    }
}

public struct FileFavoritesQuery: Codable, Hashable, Sendable {
    public static let name = "file.favorites"
    public var limit: Int?
    public var after: String?

    public init(limit: Int? = nil, after: String? = nil) {
        self.limit = limit
        self.after = after
    }

    enum CodingKeys: String, CodingKey {
        case limit = "limit"
        case after = "after"
    }
}

public struct FileFavoritesAnswer: Decodable, Sendable {
    public let data: [String]
    public let included: Included

    public struct Included: Decodable, Sendable {
        public let userMetadata: [UserMetadata]?
        public let file: [File]?

        enum CodingKeys: String, CodingKey {
            case userMetadata = "user_metadata"
            case file = "file"
        }
    }
}

public struct FileMetadataQuery: Codable, Hashable, Sendable {
    public static let name = "file.metadata"
    public var fileId: String

    public init(fileId: String) {
        self.fileId = fileId
    }

    enum CodingKeys: String, CodingKey {
        case fileId = "file_id"
    }
}

public struct FileMetadataAnswer: Decodable, Sendable {
    public let data: [String]
    public let included: Included

    public struct Included: Decodable, Sendable {
        public let userMetadata: [UserMetadata]?

        enum CodingKeys: String, CodingKey {
            case userMetadata = "user_metadata"
        }
    }
}

public struct FileSearchQuery: Codable, Hashable, Sendable {
    public static let name = "file.search"
    public var text: String
    public var limit: Int?

    public init(text: String, limit: Int? = nil) {
        self.text = text
        self.limit = limit
    }

    enum CodingKeys: String, CodingKey {
        case text = "text"
        case limit = "limit"
    }
}

public struct FileSearchAnswer: Decodable, Sendable {
    public let data: [String]
    public let included: Included

    public struct Included: Decodable, Sendable {
        public let file: [File]?

        enum CodingKeys: String, CodingKey {
            case file = "file"
        }
    }
}

public struct FileWithTagQuery: Codable, Hashable, Sendable {
    public static let name = "file.with_tag"
    public var tagId: String
    public var limit: Int?
    public var after: String?
    public var afterId: String?

    public init(tagId: String, limit: Int? = nil, after: String? = nil, afterId: String? = nil) {
        self.tagId = tagId
        self.limit = limit
        self.after = after
        self.afterId = afterId
    }

    enum CodingKeys: String, CodingKey {
        case tagId = "tag_id"
        case limit = "limit"
        case after = "after"
        case afterId = "after_id"
    }
}

public struct FileWithTagAnswer: Decodable, Sendable {
    public let data: [String]
    public let included: Included

    public struct Included: Decodable, Sendable {
        public let file: [File]?

        enum CodingKeys: String, CodingKey {
            case file = "file"
        }
    }
}

public struct LocationListQuery: Codable, Hashable, Sendable {
    public static let name = "location.list"
    public var limit: Int?
    public var after: String?
    public var afterId: String?

    public init(limit: Int? = nil, after: String? = nil, afterId: String? = nil) {
        self.limit = limit
        self.after = after
        self.afterId = afterId
    }

    enum CodingKeys: String, CodingKey {
        case limit = "limit"
        case after = "after"
        case afterId = "after_id"
    }
}

public struct LocationListAnswer: Decodable, Sendable {
    public let data: [String]
    public let included: Included

    public struct Included: Decodable, Sendable {
        public let location: [Location]?

        enum CodingKeys: String, CodingKey {
            case location = "location"
        }
    }
}

public struct TagLinksQuery: Codable, Hashable, Sendable {
    public static let name = "tag.links"
    public var fileId: String?
    public var tagId: String?
    public var limit: Int?
    public var after: String?

    public init(fileId: String? = nil, tagId: String? = nil, limit: Int? = nil, after: String? = nil) {
        self.fileId = fileId
        self.tagId = tagId
        self.limit = limit
        self.after = after
    }

    enum CodingKeys: String, CodingKey {
        case fileId = "file_id"
        case tagId = "tag_id"
        case limit = "limit"
        case after = "after"
    }
}

public struct TagLinksAnswer: Decodable, Sendable {
    public let data: [String]
    public let included: Included

    public struct Included: Decodable, Sendable {
        public let fileTag: [FileTag]?

        enum CodingKeys: String, CodingKey {
            case fileTag = "file_tag"
        }
    }
}

public struct TagListQuery: Codable, Hashable, Sendable {
    public static let name = "tag.list"
    public var limit: Int?
    public var after: String?
    public var afterId: String?

    public init(limit: Int? = nil, after: String? = nil, afterId: String? = nil) {
        self.limit = limit
        self.after = after
        self.afterId = afterId
    }

    enum CodingKeys: String, CodingKey {
        case limit = "limit"
        case after = "after"
        case afterId = "after_id"
    }
}

public struct TagListAnswer: Decodable, Sendable {
    public let data: [String]
    public let included: Included

    public struct Included: Decodable, Sendable {
        public let tag: [Tag]?

        enum CodingKeys: String, CodingKey {
            case tag = "tag"
        }
    }
}

public struct AlbumAddFilesAction: Codable, Hashable, Sendable {
    public static let name = "album.add_files"
    public var albumId: String
    public var fileIds: [String]

    public init(albumId: String, fileIds: [String]) {
        self.albumId = albumId
        self.fileIds = fileIds
    }

    enum CodingKeys: String, CodingKey {
        case albumId = "album_id"
        case fileIds = "file_ids"
    }
}

public struct AlbumAddFilesOutput: Codable, Hashable, Sendable {
    public var added: Int

    enum CodingKeys: String, CodingKey {
        case added = "added"
    }
}

public struct AlbumDeleteAction: Codable, Hashable, Sendable {
    public static let name = "album.delete"
    public var id: String

    public init(id: String) {
        self.id = id
    }

    enum CodingKeys: String, CodingKey {
        case id = "id"
    }
}

public struct AlbumDeleteOutput: Codable, Hashable, Sendable {
    public var deleted: Int

    enum CodingKeys: String, CodingKey {
        case deleted = "deleted"
    }
}

public struct AlbumMoveItemAction: Codable, Hashable, Sendable {
    public static let name = "album.move_item"
    public var id: String
    public var afterId: String?

    public init(id: String, afterId: String? = nil) {
        self.id = id
        self.afterId = afterId
    }

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case afterId = "after_id"
    }
}

public struct AlbumMoveItemOutput: Codable, Hashable, Sendable {
    public var changed: Int

    enum CodingKeys: String, CodingKey {
        case changed = "changed"
    }
}

public struct FileDeleteAction: Codable, Hashable, Sendable {
    public static let name = "file.delete"
    public var ids: [String]

    public init(ids: [String]) {
        self.ids = ids
    }

    enum CodingKeys: String, CodingKey {
        case ids = "ids"
    }
}

public struct FileDeleteOutput: Codable, Hashable, Sendable {
    public var deleted: Int

    enum CodingKeys: String, CodingKey {
        case deleted = "deleted"
    }
}

public struct FileFavoriteAction: Codable, Hashable, Sendable {
    public static let name = "file.favorite"
    public var id: String
    public var favorite: Bool

    public init(id: String, favorite: Bool) {
        self.id = id
        self.favorite = favorite
    }

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case favorite = "favorite"
    }
}

public struct FileFavoriteOutput: Codable, Hashable, Sendable {
    public var favorite: Bool

    enum CodingKeys: String, CodingKey {
        case favorite = "favorite"
    }
}

public struct FileMoveAction: Codable, Hashable, Sendable {
    public static let name = "file.move"
    public var ids: [String]
    public var parentId: String?

    public init(ids: [String], parentId: String?) {
        self.ids = ids
        self.parentId = parentId
    }

    enum CodingKeys: String, CodingKey {
        case ids = "ids"
        case parentId = "parent_id"
    }

    public func encode(to encoder: Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(ids, forKey: .ids)
        try container.encode(parentId, forKey: .parentId)
    }
}

public struct FileMoveOutput: Codable, Hashable, Sendable {
    public var moved: Int

    enum CodingKeys: String, CodingKey {
        case moved = "moved"
    }
}

public struct FileRenameAction: Codable, Hashable, Sendable {
    public static let name = "file.rename"
    public var id: String
    public var name: String

    public init(id: String, name: String) {
        self.id = id
        self.name = name
    }

    enum CodingKeys: String, CodingKey {
        case id = "id"
        case name = "name"
    }
}

public struct FileRenameOutput: Codable, Hashable, Sendable {
    public var id: String

    enum CodingKeys: String, CodingKey {
        case id = "id"
    }
}

public struct TagApplyAction: Codable, Hashable, Sendable {
    public static let name = "tag.apply"
    public var tagId: String
    public var fileIds: [String]

    public init(tagId: String, fileIds: [String]) {
        self.tagId = tagId
        self.fileIds = fileIds
    }

    enum CodingKeys: String, CodingKey {
        case tagId = "tag_id"
        case fileIds = "file_ids"
    }
}

public struct TagApplyOutput: Codable, Hashable, Sendable {
    public var applied: Int

    enum CodingKeys: String, CodingKey {
        case applied = "applied"
    }
}

public struct TagDeleteAction: Codable, Hashable, Sendable {
    public static let name = "tag.delete"
    public var id: String

    public init(id: String) {
        self.id = id
    }

    enum CodingKeys: String, CodingKey {
        case id = "id"
    }
}

public struct TagDeleteOutput: Codable, Hashable, Sendable {
    public var deleted: Int

    enum CodingKeys: String, CodingKey {
        case deleted = "deleted"
    }
}

public struct TagRemoveAction: Codable, Hashable, Sendable {
    public static let name = "tag.remove"
    public var tagId: String
    public var fileIds: [String]

    public init(tagId: String, fileIds: [String]) {
        self.tagId = tagId
        self.fileIds = fileIds
    }

    enum CodingKeys: String, CodingKey {
        case tagId = "tag_id"
        case fileIds = "file_ids"
    }
}

public struct TagRemoveOutput: Codable, Hashable, Sendable {
    public var removed: Int

    enum CodingKeys: String, CodingKey {
        case removed = "removed"
    }
}

public protocol SynclineResource: Codable, Identifiable, Sendable {
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

/// An event of the stream. A record that does not fit is counted and leaves the others (`failedCount`).
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
