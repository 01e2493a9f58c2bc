/** PEM (RFC 7468), as text and as the bytes inside it. */
import { Certificate } from '@peculiar/asn1-x509'
import { AsnConvert } from '@peculiar/asn1-schema'

const block = /-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----/g

export function pemOf(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

/** The blocks of a label in their order, each as PEM of its own. */
export function pemBlocks(text: string, label: string): string[] {
  return [...text.matchAll(block)].filter((found) => found[1] === label).map((found) => `${found[0]}\n`)
}

export function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
}

/** Throws what the parser says. */
export function certificateOf(pem: string): Certificate {
  return AsnConvert.parse(derOf(pem), Certificate)
}
