import { expect } from 'chai'
import { contentTypes } from '../../../../../../../agent/worker/filters/user/builtin/content-types.ts'

describe('content types to compress', () => {
  const isMeant = contentTypes(['text/*', 'application/json', 'Application/*+JSON', 'a*/*b*c'])

  it('are found without case, and without their parameters', () => {
    for (const field of [
      'text/html',
      'TEXT/HTML; charset=utf-8',
      ' application/json ;',
      'application/JSON\t',
      'application/problem+json;q="a, b"',
      'application/+json+json',
      'abc/bc',
      'a/xbxbxc',
      `text/html; ${'x'.repeat(20_000)}`,
    ])
      expect(isMeant(field), field.slice(0, 40)).to.equal(true)
  })

  it('are no others', () => {
    for (const field of [
      '',
      ';text/html',
      'application/jsonp',
      'xapplication/json',
      'application/json, text/html',
      'text/html, application/json',
      'text/ html',
      'application/problem+jsons',
      'image/png; text/html',
      'a/c',
      'a/b',
    ])
      expect(isMeant(field), field).to.equal(false)
  })

  it('have at most 256 characters', () => {
    expect(isMeant(`text/${'x'.repeat(251)}`)).to.equal(true)
    expect(isMeant(`text/${'x'.repeat(252)}`)).to.equal(false)
    expect(contentTypes(['*/*+json'])(`${'/'.repeat(15_000)}+json`)).to.equal(false)
  })
})
