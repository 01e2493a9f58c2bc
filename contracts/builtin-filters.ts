/** Settings of the filters that come with us, as control has checked them. Plain data, safe as JSON. */

export const encodings = ['zstd', 'br', 'gzip'] as const
export type Encoding = (typeof encodings)[number]

export interface CompressionSettings {
  /** The first is liked best among those that a caller likes alike. */
  readonly encodings: readonly Encoding[]
  /** 1..9. */
  readonly level: number
  /** Shorter replies pass as they are. */
  readonly minBytes: number
  /** `text/html`, `text/*`, `application/*+json`. */
  readonly contentTypes: readonly string[]
}

export interface BodyLimitSettings {
  readonly maxBytes: number
}

export interface BasicAuthSettings {
  readonly realm: string
  /** Absolute path of a file as htpasswd writes it. */
  readonly file: string
  /** Field that tells the application who it is. */
  readonly userHeader?: string
}

export type BuiltinName = 'compression' | 'bodyLimit' | 'basicAuth'
