//! What an event becomes.

use super::operator::Operator;
use super::{Event, first_line};
use proc_macro2::TokenStream;
use quote::quote;

impl Event {
    /// The struct, and what makes it an event.
    pub(super) fn expand(&self, relay: &TokenStream) -> TokenStream {
        let item = &self.item;
        let identifier = &item.ident;
        let (of_impl, of_type, bounds) = item.generics.split_for_impl();
        // Where the struct is not, nothing is.
        let conditions: Vec<_> = item
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"))
            .collect();
        let site = self.site(relay);
        let class = self.class(relay);
        let (entry, id) = self.entry(relay);
        let size = self.size(relay);
        let says_who = self.operator.is_some();
        let stores = self.fields.iter().map(|field| field.store(relay));
        quote! {
            #item

            #(#conditions)*
            const _: () = {
                #site
                #entry

                impl #of_impl #relay::event::Event for #identifier #of_type #bounds {
                    const CLASS: #relay::event::EventClass = #class;
                    const SAYS_WHO: bool = #says_who;

                    #[inline(always)]
                    fn site() -> ::core::option::Option<&'static #relay::event::Site> {
                        ::core::option::Option::Some(&__RELAY_SITE)
                    }

                    #id

                    #[inline(always)]
                    fn size(&self) -> usize {
                        #size
                    }

                    #[inline(always)]
                    fn store(&self, fields: &mut #relay::event::FieldsMut<'_>) {
                        let _ = &fields;
                        #(#stores;)*
                    }
                }
            };
        }
    }

    /// Where the event is declared, and its switch.
    fn site(&self, relay: &TokenStream) -> TokenStream {
        let attributes = &self.attributes;
        let channel = &attributes.channel;
        let name = &self.name;
        let severity = attributes
            .severity
            .as_ref()
            .map(|severity| quote!(.with_severity(#relay::event::Severity::#severity)));
        let facility = attributes.facility.as_ref();
        let facility = facility.map(|facility| quote!(.with_facility(#facility)));
        let text = attributes.text.as_ref();
        let text = text.map(|text| quote!(.with_text(#text)));
        let doc = first_line(&self.item.attrs);
        let doc = (!doc.is_empty()).then(|| quote!(.with_doc(#doc)));
        let enabled = attributes.enabled.as_ref();
        let enabled = enabled.map(|enabled| quote!(.with_enabled(#enabled)));
        let operator = self.operator.as_ref();
        let codes =
            operator.map(|Operator { facility, kind, .. }| quote!(.with_codes(#facility, #kind)));
        // The place is that of the struct: `line!` would say that of the macro around it.
        let place = self.item.ident.span().unwrap();
        let (file, line) = (place.file(), place.line());
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        quote! {
            static __RELAY_SITE: #relay::event::Site = #relay::event::Site::event(
                #channel,
                #name,
                #relay::event::Source {
                    module: ::core::module_path!(),
                    file: #file,
                    line: #line,
                },
            ) #severity #facility #text #doc #enabled #codes;
        }
    }

    /// The class of its records.
    fn class(&self, relay: &TokenStream) -> TokenStream {
        let id = self.attributes.id.as_ref().map_or(0, |id| id.number);
        let name = &self.name;
        let names = self.fields.iter().map(|field| &field.name);
        let kinds = self.fields.iter().map(|field| field.kind(relay));
        quote! {
            #relay::event::EventClass {
                id: #id,
                name: #name,
                fields: &[#(#relay::event::Field::new(#names, #kinds)),*],
            }
        }
    }

    /// Its entry in the section of classes, and the function that tells the id; both are not needed
    /// where that is given by hand.
    fn entry(&self, relay: &TokenStream) -> (TokenStream, TokenStream) {
        if self.attributes.id.is_some() {
            return (TokenStream::new(), TokenStream::new());
        }
        let identifier = &self.item.ident;
        let lifetimes = self.item.generics.lifetimes().map(|_| quote!('_));
        let symbol = format!("{}.{}", self.attributes.channel.value(), self.name);
        let operator = self.operator.as_ref().map(Operator::symbol);
        let entry = quote! {
            fn __relay_class() -> #relay::event::EventClass {
                <#identifier<#(#lifetimes),*> as #relay::event::Event>::CLASS
            }

            #relay::__registered! { __RELAY_SITE __relay_id [] __relay_class #symbol #operator }
        };
        let id = quote! {
            const HAS_ID: bool = #relay::event::HAS_REGISTRY;

            #[inline(always)]
            fn id() -> u16 {
                __relay_id()
            }
        };
        (entry, id)
    }

    /// The bytes that its fields take.
    fn size(&self, relay: &TokenStream) -> TokenStream {
        let fixed = self.fields.iter().map(|field| field.fixed_size(relay));
        let sizes = self.fields.iter().map(|field| field.size(relay));
        quote! {
            match const { #relay::__private::sum(&[#(#fixed),*]) } {
                ::core::option::Option::Some(size) => size,
                ::core::option::Option::None => {
                    let size = 0usize;
                    #(let size = size.saturating_add(#sizes);)*
                    size
                }
            }
        }
    }
}
