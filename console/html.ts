/** What pages are written in. Text of others only ever becomes text: nothing here sets markup. */
import { h, type VNode } from './vendor/preact.js'
import htm from './vendor/htm.js'

export { render } from './vendor/preact.js'
export { useEffect, useMemo, useRef, useState } from './vendor/hooks.js'
export type View = VNode | null

export const html: (strings: TemplateStringsArray, ...values: unknown[]) => VNode = htm.bind(h as never) as never
