"""The media type of a file, by the extension of its name; no I/O.

The table is our own, so that a file has the same type on every machine. Its types are those that
IANA has registered (https://www.iana.org/assignments/media-types) and, where there is none, those
that browsers and servers agree on.
"""

from __future__ import annotations

#: The type of a file whose extension is not in the table: a browser saves it and never shows it.
UNKNOWN = "application/octet-stream"

_TABLE = """
text/html                       html htm
text/css                        css
text/javascript                 js mjs cjs
text/plain                      txt text log conf ini cfg nfo diff patch srt
text/plain                      c h cc cpp hpp cs go java kt lua pl py rb rs sh sql swift
text/markdown                   md markdown
text/csv                        csv
text/tab-separated-values       tsv
text/calendar                   ics ifb
text/vcard                      vcf vcard
text/vtt                        vtt
text/turtle                     ttl
text/x-rst                      rst

application/json                json map
application/ld+json             jsonld
application/geo+json            geojson topojson
application/feed+json           jsonfeed
application/manifest+json       webmanifest
application/x-ndjson            ndjson jsonl
application/wasm                wasm
application/xml                 xml xsl xsd rng
application/xhtml+xml           xhtml xht
application/rss+xml             rss
application/atom+xml            atom
application/rdf+xml             rdf
application/gpx+xml             gpx
application/vnd.google-earth.kml+xml    kml
application/vnd.google-earth.kmz        kmz
application/xslt+xml            xslt
application/mathml+xml          mathml mml
application/yaml                yaml yml
application/toml                toml
application/x-tex               tex
application/rtf                 rtf
application/pdf                 pdf
application/postscript          ps eps ai
application/epub+zip            epub
application/x-x509-ca-cert      der crt cer
application/x-pem-file          pem
application/x-pkcs12            p12 pfx
message/rfc822                  eml
application/x-bittorrent        torrent

image/png                       png
image/apng                      apng
image/jpeg                      jpg jpeg jpe jfif pjpeg pjp
image/gif                       gif
image/webp                      webp
image/avif                      avif avifs
image/heic                      heic
image/heif                      heif
image/jxl                       jxl
image/jp2                       jp2 jpg2
image/svg+xml                   svg
image/bmp                       bmp dib
image/tiff                      tif tiff
image/vnd.microsoft.icon        ico cur
image/vnd.adobe.photoshop       psd
image/x-adobe-dng               dng

audio/mpeg                      mp3 mp2
audio/mp4                       m4a m4b
audio/aac                       aac
audio/ogg                       oga ogg opus spx
audio/flac                      flac
audio/wav                       wav
audio/aiff                      aif aiff aifc
audio/midi                      mid midi kar
audio/basic                     au snd
audio/webm                      weba
audio/x-matroska                mka
audio/x-ms-wma                  wma
audio/mpegurl                   m3u

video/mp4                       mp4 m4v mp4v
video/mpeg                      mpeg mpg mpe
video/webm                      webm
video/ogg                       ogv
video/quicktime                 mov qt
video/matroska                  mkv
video/mp2t                      ts mts m2ts
video/3gpp                      3gp 3gpp
video/3gpp2                     3g2 3gpp2
video/x-msvideo                 avi
video/x-ms-wmv                  wmv
video/x-flv                     flv
application/vnd.apple.mpegurl   m3u8
application/dash+xml            mpd

font/woff                       woff
font/woff2                      woff2
font/ttf                        ttf
font/otf                        otf
font/collection                 ttc
application/vnd.ms-fontobject   eot

model/gltf+json                 gltf
model/gltf-binary               glb
model/obj                       obj
model/stl                       stl
model/3mf                       3mf

application/zip                 zip
application/gzip                gz tgz svgz
application/zstd                zst
application/x-bzip2             bz2 tbz2
application/x-xz                xz txz
application/x-lzma              lzma
application/x-tar               tar
application/x-7z-compressed     7z
application/vnd.rar             rar
application/vnd.ms-cab-compressed       cab
application/java-archive        jar war ear
application/x-iso9660-image     iso
application/x-apple-diskimage   dmg
application/vnd.debian.binary-package   deb
application/x-rpm               rpm
application/vnd.android.package-archive apk
application/x-msi               msi
application/x-xpinstall         xpi
application/vnd.sqlite3         sqlite sqlite3
application/vnd.apache.parquet  parquet
application/vnd.apache.arrow.file       arrow
application/x-hdf5              h5 hdf5
application/x-netcdf            nc

application/msword              doc dot
application/vnd.ms-excel        xls xlt
application/vnd.ms-powerpoint   ppt pps pot
application/vnd.openxmlformats-officedocument.wordprocessingml.document     docx
application/vnd.openxmlformats-officedocument.wordprocessingml.template     dotx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet           xlsx
application/vnd.openxmlformats-officedocument.spreadsheetml.template        xltx
application/vnd.openxmlformats-officedocument.presentationml.presentation   pptx
application/vnd.openxmlformats-officedocument.presentationml.slideshow      ppsx
application/vnd.oasis.opendocument.text             odt
application/vnd.oasis.opendocument.spreadsheet      ods
application/vnd.oasis.opendocument.presentation     odp
application/vnd.oasis.opendocument.graphics         odg
"""

#: Media types by extension, in lower case and with its dot.
MEDIA_TYPES: dict[str, str] = {
    f".{extension}": media_type
    for media_type, *extensions in map(str.split, filter(None, _TABLE.splitlines()))
    for extension in extensions
}

#: Types whose files a page may run or apply by loading them, as `<script src>` does.
LOADABLE = frozenset({"text/javascript", "text/css", "application/wasm"})


def media_type(extension: str) -> str:
    """Return the type of files with this extension, which has its dot; without parameters."""
    return MEDIA_TYPES.get(extension.lower(), UNKNOWN)


def is_document(media_type: str) -> bool:
    """Whether a browser that opens such a file may run scripts that are in it."""
    return media_type == "text/html" or media_type.endswith(("/xml", "+xml"))


def with_charset(media_type: str) -> str:
    """Return what the Content-Type says: texts are in UTF-8.

    JSON is always in UTF-8 (RFC 8259, section 8.1), and XML says by itself what it is in.
    """
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
