/* SPDX-License-Identifier: Apache-2.0
 * A streaming, non-validating XML 1.0 parser for UTF-8, made for files of which most is skipped. Everything is checked
 * for well-formedness, also what is skipped; no DTD is read, no entity is declared, nothing is fetched.
 *
 * Elements, attributes and text come by callbacks, in document order. Line ends are normalised (CR LF and CR become
 * LF) and references resolved, as XML 1.0 asks. Character data may come in several pieces; CDATA sections are text.
 * Comments and processing instructions are checked and dropped. A DOCTYPE with its internal subset is passed over.
 *
 * Refused with file, line and column (ADE_BAD_INPUT): what is not well-formed; an encoding other than UTF-8 (US-ASCII
 * is a part of it); what ends early; an entity declaration; a reference to an entity that XML does not predefine;
 * elements nested deeper, or a tag, comment, instruction or declaration longer, than the limits below. */
#ifndef ADE_XML_H
#define ADE_XML_H

#include "adesieve.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADE_XML_DEPTH 1000                 /* nested elements; MEDLINE has about 15 */
#define ADE_XML_MARKUP ((size_t)16 << 20)  /* bytes of one tag, comment, instruction or declaration */

typedef struct ade_xml ade_xml;

typedef struct ade_xml_handler {
    void (*start)(void *user, ade_text name); /* an element begins; ade__xml_attribute and ade__xml_skip may be called */
    void (*end)(void *user);                  /* it ends; comes also for an element whose content was skipped */
    void (*text)(void *user, ade_text text);  /* never empty */
} ade_xml_handler;

/* `name` stands in messages. Everything that is given to callbacks lives until they return. ADE_OUT_OF_MEMORY. */
ade_status ade__xml_open(const char *name, const ade_xml_handler *handler, void *user, ade_xml **out);
void       ade__xml_close(ade_xml *xml); /* NULL is fine */

/* Within `start`: the value of an attribute of this element, normalised and with its references resolved. False when
 * there is none of that name. */
bool ade__xml_attribute(ade_xml *xml, const char *name, ade_text *value);

/* Within `start`: no callback for what is inside this element. */
void ade__xml_skip(ade_xml *xml);

/* Whether text is delivered from now on; true at first. Callable from callbacks. Without it text is only checked. */
void ade__xml_want_text(ade_xml *xml, bool wanted);

/* Within a callback: parsing stops, no further callback comes, and ade__xml_parse returns `status`, whose text is the
 * thread's last error. */
void ade__xml_stop(ade_xml *xml, ade_status status);

/* Within a callback: line and column (in code points), both from 1, of the markup or text that it is about. */
void ade__xml_place(const ade_xml *xml, uint64_t *line, uint64_t *column);

/* Memory for the next `capacity` bytes of the file; NULL when out of memory (then the error is set). */
void *ade__xml_buffer(ade_xml *xml, size_t capacity);

/* Parses the `size` bytes now in that buffer; `final` says that the file ends with them (size may be 0). After a status
 * other than ADE_OK every further call returns the same. ADE_BAD_INPUT, ADE_OUT_OF_MEMORY, or what stopped it. */
ade_status ade__xml_parse(ade_xml *xml, size_t size, bool final);

#endif
