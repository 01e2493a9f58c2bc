/** Edits of header fields. A percent sign begins a command in Envoy's values; ours have none. */
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import type { HeaderEditsSpec } from '../../../contracts/route-spec.ts'

export function headerEdits(request: HeaderEditsSpec | undefined, response: HeaderEditsSpec | undefined): Plain {
  return { ...fields('request', request), ...fields('response', response) }
}

function fields(side: 'request' | 'response', edits: HeaderEditsSpec | undefined): Plain {
  if (edits === undefined) return {}
  const added = [
    ...edits.set.map(([name, value]) => option(name, value, 'OVERWRITE_IF_EXISTS_OR_ADD')),
    ...edits.add.map(([name, value]) => option(name, value, 'APPEND_IF_EXISTS_OR_ADD')),
  ]
  return {
    ...(added.length === 0 ? {} : { [`${side}_headers_to_add`]: added }),
    ...(edits.remove.length === 0 ? {} : { [`${side}_headers_to_remove`]: edits.remove }),
  }
}

export function option(name: string, value: string, action: string): Plain {
  return {
    header: { key: name, value: value.replaceAll('%', '%%') },
    append_action: action,
    keep_empty_value: true,
  }
}
