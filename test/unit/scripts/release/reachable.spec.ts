import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { expect } from 'chai'
import { reachable } from '../../../../scripts/release/reachable.ts'

describe('what a release can load of npm packages', () => {
  let root: string

  beforeEach(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), 'hm-reachable-')))
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))

  function put(files: Readonly<Record<string, string | object>>): void {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), typeof content === 'string' ? content : JSON.stringify(content))
    }
  }

  /** Of packages, by their paths below node_modules. */
  function reached(source: string): string[] {
    put({ 'main.js': source })
    const { files } = reachable([join(root, 'main.js')], root, (path) => !path.endsWith('.map'))
    return [...files].map((path) => relative(join(root, 'node_modules'), path)).sort()
  }

  it('is what is imported, and what that imports, in the form that is loaded', () => {
    put({
      'node_modules/both/package.json': { exports: { '.': { import: './a.mjs', require: './a.cjs' } } },
      'node_modules/newer/package.json': { exports: { 'module-sync': './sync.mjs', default: './index.js' } },
      'node_modules/newer/sync.mjs': '',
      'node_modules/newer/index.js': '',
      'node_modules/both/a.mjs': 'export * from "./part.mjs"',
      'node_modules/both/a.cjs': '',
      'node_modules/both/part.mjs': '',
      'node_modules/both/browser.js': '',
      'node_modules/never/package.json': {},
      'node_modules/never/index.js': '',
    })
    expect(reached("import { x } from 'both'")).to.deep.equal(['both/a.mjs', 'both/package.json', 'both/part.mjs'])
    expect(reached("const x = require('both')")).to.deep.equal(['both/a.cjs', 'both/package.json'])
    expect(reached("const x = require('newer')")).to.deep.equal(['newer/package.json', 'newer/sync.mjs'])
  })

  it('counts what is loaded later, by any of the ways to say it', () => {
    put({
      'node_modules/@of/late/package.json': { main: 'lib/index.js' },
      'node_modules/@of/late/lib/index.js': 'function f() { return require( /* a remark */ "deep/inner") }',
      'node_modules/@of/late/lib/package.json': {},
      'node_modules/@of/late/node_modules/deep/package.json': {},
      'node_modules/@of/late/node_modules/deep/inner.js': '',
      'node_modules/deep/inner.js': 'of somebody else',
      'node_modules/style/package.json': { main: './dist/code.js' },
      'node_modules/style/dist/code.js': '',
      'node_modules/style/dist/sheet.css': '',
    })
    expect(reached("await import('@of/late')")).to.deep.equal([
      '@of/late/lib/index.js',
      '@of/late/lib/package.json',
      '@of/late/node_modules/deep/inner.js',
      '@of/late/node_modules/deep/package.json',
      '@of/late/package.json',
    ])
    expect(reached("text(import.meta.resolve('style/dist/sheet.css'))")).to.include('style/dist/sheet.css')
  })

  it('is all of a package that finds files by computed names, and what those import', () => {
    const index = (body: string) => ({ 'node_modules/odd/index.js': body })
    put({
      ...index('module.exports = (name) => require(`./plugins/${name}`)'),
      'node_modules/odd/package.json': {},
      'node_modules/odd/plugins/one.js': "require('helper')",
      'node_modules/odd/index.js.map': '',
      'node_modules/odd/types.js':
        '"use strict";\n// of types\nObject.defineProperty(exports, "__esModule", { value: true });\n',
      'node_modules/helper/index.js': '',
    })
    const whole = ['helper/index.js', 'odd/index.js', 'odd/package.json', 'odd/plugins/one.js']
    expect(reached("require('odd')")).to.deep.equal(whole)
    put(index("const { join } = require('node:path')\nnew Worker(join(__dirname, 'plugins', 'one.js'))"))
    expect(reached("require('odd')")).to.deep.equal(whole)
    put(index('// a remark about __dirname and require(name)\nmodule.exports = 1'))
    expect(reached("require('odd')")).to.deep.equal(['odd/index.js', 'odd/package.json'])
  })

  it('passes over what Node has itself, and what is not there', () => {
    expect(
      reached("import 'node:fs'; import 'fs'; try { require('optional') } catch {}; import './own.js'"),
    ).to.deep.equal([])
  })
})
